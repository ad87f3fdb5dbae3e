package session

import (
	"encoding/json"
	"errors"
	"sync"

	"securesocket/session/durable"
	"securesocket/tlsengine/identity"
)

// defaults holds what callers set for all of their sessions (Qt's global
// database of ciphers and protocol).
type defaults struct {
	cfg   *Config
	store durable.Store

	mu    sync.Mutex
	known map[string]Settings // by callerKey; only those that are not empty
}

const settingsBucket = "settings"

// keptSettings is how settings are stored: a key never is, the name of an
// operator's identity is.
type keptSettings struct {
	Settings
	Identities []string
}

func (d *defaults) of(owner string) (Settings, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ofLocked(callerKey(owner))
}

func (d *defaults) ofLocked(key string) (Settings, error) {
	if s, ok := d.known[key]; ok {
		return s, nil
	}
	b, err := d.store.Get(settingsBucket, key)
	switch {
	case errors.Is(err, durable.ErrNotFound):
		return Settings{}, nil
	case err != nil:
		return Settings{}, err
	}
	var kept keptSettings
	if err := json.Unmarshal(b, &kept); err != nil {
		return Settings{}, err
	}
	s := kept.Settings
	s.Identities = nil
	for _, ref := range kept.Identities {
		// One that the operator has taken away since is no longer shown.
		if id := d.cfg.Identities[ref]; id != nil {
			s.Identities = append(s.Identities, id)
		}
	}
	if _, err := s.check(d.cfg); err != nil {
		// What the operator no longer allows must not stop all of a caller's sessions.
		d.cfg.Logger.Warn("kept default settings are not allowed any more", "caller", key, "error", err.Error())
		return Settings{}, nil
	}
	d.known[key] = s
	return s, nil
}

// Defaults returns a caller's default settings.
func (r *Registry) Defaults(owner string) (Settings, error) {
	s, err := r.defaults.of(owner)
	return s, r.storeError(err)
}

// UpdateDefaults replaces a caller's default settings by what change makes of
// them, for the next connects of all his sessions.
func (r *Registry) UpdateDefaults(owner string, change func(Settings) (Settings, error)) (next Settings, warnings []string, err error) {
	d, key := &r.defaults, callerKey(owner)
	d.mu.Lock()
	defer d.mu.Unlock()
	have, err := d.ofLocked(key)
	if err != nil {
		return have, nil, r.storeError(err)
	}
	if next, err = change(have); err != nil {
		return have, nil, err
	}
	if warnings, err = next.check(d.cfg); err != nil {
		return have, nil, err
	}
	kept := keptSettings{Settings: next, Identities: refs(next.Identities)}
	if len(kept.Identities) != len(next.Identities) {
		return have, nil, &FieldError{"tls.identities", "takes only an identity_ref here: keys are not kept"}
	}
	if equalSettings(next, Settings{}) {
		delete(d.known, key)
		return next, warnings, r.storeError(d.store.Delete(settingsBucket, key))
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return have, nil, r.storeError(err)
	}
	if err := d.store.Put(settingsBucket, key, b); err != nil {
		return have, nil, r.storeError(err)
	}
	d.known[key] = next
	return next, warnings, nil
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
