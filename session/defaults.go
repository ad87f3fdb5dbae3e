package session

import (
	"bytes"
	"encoding/json"

	"securesocket/tlsengine/identity"
)

// keptSettings is how a caller's defaults (Qt's global ciphers and protocol) are
// stored: a key never is, the name of an operator's identity is.
type keptSettings struct {
	Settings
	Identities []string
}

func newDefaults(cfg *Config) kept[*Settings] {
	return kept[*Settings]{
		store: cfg.Store, bucket: "settings",
		decode: func(b []byte) (*Settings, error) {
			var stored keptSettings
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields() // of a newer service: leaving one out could weaken the rest
			if err := d.Decode(&stored); err != nil {
				return nil, err
			}
			s := stored.Settings
			s.Identities = nil
			for _, ref := range stored.Identities {
				// One that the operator has taken away since is no longer shown.
				if id := cfg.Identities[ref]; id != nil {
					s.Identities = append(s.Identities, id)
				} else {
					cfg.Logger.Warn("defaults name an identity that is gone", "identity_ref", ref)
				}
			}
			// What the operator does not allow any more is refused by the next connect, not left out.
			return &s, nil
		},
		encode: func(s *Settings) ([]byte, error) {
			if s == nil {
				return nil, nil
			}
			return json.Marshal(keptSettings{Settings: *s, Identities: refs(s.Identities)})
		},
	}
}

// Defaults returns a caller's default settings.
func (r *Registry) Defaults(owner string) (Settings, error) {
	s, err := r.defaultsOf(owner)
	if s == nil {
		return Settings{}, err
	}
	return *s, err
}

// defaultsOf is Defaults; nil: there are none.
func (r *Registry) defaultsOf(owner string) (*Settings, error) {
	s, err := r.defaults.get(owner, callerKey(owner))
	return s, r.storeError(err)
}

// UpdateDefaults replaces a caller's default settings by what change makes of
// them, for the next connects of all his sessions. Of their identities only those
// of the operator are kept. The error is change's, one of
// the settings' or of the store.
func (r *Registry) UpdateDefaults(owner string, change func(Settings) (Settings, error)) (next Settings, warnings []string, err error) {
	var refused error
	err = r.defaults.change(owner, callerKey(owner), func(have *Settings) (*Settings, error) {
		before := Settings{}
		if have != nil {
			before = *have
		}
		if next, refused = change(before); refused != nil {
			return nil, refused
		}
		if warnings, refused = next.check(&r.cfg); refused != nil {
			return nil, refused
		}
		if next.ServerName != nil || next.VerifyNames != nil {
			refused = &FieldError{"tls.verify_names", "and server_name are about one target, and no default"}
			return nil, refused
		}
		if next.Proxy != nil {
			refused = &FieldError{"proxy", "is no default: a password would be stored"}
			return nil, refused
		}
		switch {
		case equalSettings(before, next):
			return nil, errUnchanged
		case equalSettings(next, Settings{}):
			return nil, nil
		}
		kept := next
		return &kept, nil
	})
	if refused != nil {
		return next, nil, refused
	}
	return next, warnings, r.storeError(err)
}

func refs(ids []*identity.Identity) []string {
	var out []string
	for _, id := range ids {
		if id.Ref() != "" {
			out = append(out, id.Ref())
		}
	}
	return out
}
