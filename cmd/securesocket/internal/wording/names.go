package wording

import "strings"

// Names are the names of a certificate, with commas between them. One that has more in it than names usually have is
// quoted: a comma in a name must not look like two names.
func Names(names []string) string {
	said := make([]string, len(names))
	for i, name := range names {
		said[i] = name
		if name == "" || strings.ContainsFunc(name, unusual) {
			said[i] = `"` + quoter.Replace(name) + `"`
		}
	}
	return strings.Join(said, ", ")
}

// quoter keeps a name from ending its quotes.
var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func unusual(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_:*", r)
}
