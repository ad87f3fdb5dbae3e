// Package config is what the operator of the service decides, and where he said it: on the command line, in the
// environment, in one YAML file, or nowhere.
//
// A setting is declared once, in the table of table.go: its path in the file, kind, default, bounds and help. Its
// flag and its variable follow from the path, and so do the example, the checks and what is shown. [Load] fills a
// [Config] from the table.
//
// # Which word counts
//
// A flag is above a variable of the environment, that above the file, and that above the default. They are never
// merged: a list or a map that a flag or a variable gives takes the place of the file's. There is no file unless one is
// named, by --config or SECURESOCKET_CONFIG: a service that is started by hand does what its command line says.
//
// # Strict
//
// Nothing is guessed. A key that is not known or is there twice, a value of another type, a number without its unit or
// out of its bounds, an anchor, an alias, a tag, a second document: each is an [Error] with its file and line. A limit
// is finite, and 0 does not stand for "none". All mistakes are reported at once.
//
// A list that is absent is another thing than one that is empty: without egress.allow everything public may be
// reached, with "egress: {allow: []}" nothing.
//
// # What it does not do
//
// It reads no file but its own: what a path leads to is judged by whoever uses it. It holds no secrets, only the names
// of files that do.
//
// A Config is not changed after Load, and may be read by everybody.
package config
