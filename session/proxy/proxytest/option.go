package proxytest

// Option changes what a proxy does. Without any it connects whoever asks.
type Option func(*options)

type options struct {
	username, password string
	refuse             int // 0: nothing is refused
}

// User has the proxy ask for this username, and the password of [Password].
func User(username string) Option { return func(o *options) { o.username = username } }

// Password is what [User] has to give.
func Password(password string) Option { return func(o *options) { o.password = password } }

// Refuse has the proxy answer every target with this: a status of HTTP, or a reply
// code of SOCKS (RFC 1928, section 6).
func Refuse(code int) Option { return func(o *options) { o.refuse = code } }
