package main

import "strconv"

// section is a part of one of the two documents.
type section struct {
	title string
	ids   []string
}

// sections are all rows that the documents have, in the order of the table. The numbers are fixed: other documents and
// tests may cite them, and where they leave a gap there never was a row.
var sections = []section{
	{"AIR: rules of the class SecureSocket", append([]string{"A1", "A2", "A2b"}, ids("A", 3, 14)...)},
	{"AIR: its own members", ids("A", 20, 33)},
	{"AIR: properties of Socket", ids("A", 40, 49)},
	{"AIR: methods of Socket", ids("A", 50, 70)},
	{"AIR: events", ids("A", 80, 88)},
	{"AIR: CertificateStatus", ids("A", 100, 108)},
	{"AIR: X509Certificate and X500DistinguishedName", ids("A", 110, 125)},
	{"AIR: socket policy files", ids("A", 130, 135)},
	{"Qt: enums", ids("Q", 1, 2)},
	{"Qt: rules of behaviour", ids("Q", 10, 22)},
	{"Qt: members of QSslSocket", ids("Q", 30, 58)},
	{"Qt: QAbstractSocket, QTcpSocket, QIODevice, QTcpServer", ids("Q", 60, 75)},
	{"Qt: QSslError", ids("Q", 80, 93)},
	{"Qt: QSslCertificate", ids("Q", 100, 108)},
	{"Qt: QSslCipher, QSslKey, QSsl", ids("Q", 110, 112)},
}

// threatSections are the threats: their numbers are fixed too.
var threatSections = []section{{"threats", ids("T", 1, 58)}}

// ids are the numbers from first to last, each behind a letter.
func ids(letter string, first, last int) []string {
	out := make([]string, 0, last-first+1)
	for n := first; n <= last; n++ {
		out = append(out, letter+strconv.Itoa(n))
	}
	return out
}
