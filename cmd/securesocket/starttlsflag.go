package main

import "github.com/spf13/pflag"

// startTLSFlag names the protocol in which the peer is asked for TLS. Which there are the service knows, and says where it
// refuses one.
type startTLSFlag struct{ protocol string }

func (f *startTLSFlag) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.protocol, "starttls", "", "ask the peer for TLS in `PROTOCOL` first, such as smtp or postgres: one of those that capabilities lists. It implies no port")
}

// check finds what is wrong before anything is connected.
func (f *startTLSFlag) check(flags *pflag.FlagSet) error {
	if flags.Changed("starttls") && f.protocol == "" {
		return usagef("--starttls: name a protocol, such as smtp")
	}
	return nil
}
