package config

import "strings"

// mend says what may have been meant by a path that is not known.
func mend(path string) string {
	paths := make([]string, len(settings))
	for i, s := range settings {
		paths[i] = s.path
	}
	if near := nearest(path, paths); near != "" {
		return "is it " + near + "? securesocketd config example lists all"
	}
	// The key itself may be right, and only in the wrong section.
	key := path[strings.LastIndexByte(path, '.')+1:]
	for _, s := range settings {
		if s.key() == key {
			return "is it " + s.path + "? securesocketd config example lists all"
		}
	}
	return "remove it; securesocketd config example lists all"
}

// nearest is the word that is at most a few letters away, or "".
func nearest(word string, words []string) string {
	best, least := "", 1+min(2, len(word)/3)
	if len(word) > 64 {
		return ""
	}
	for _, w := range words {
		if d := distance(word, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
