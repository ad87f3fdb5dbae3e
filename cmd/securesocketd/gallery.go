package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"securesocket/tlsengine/gallery"
)

// addGallery gives root the command that shows the gallery of bad servers. It has nothing to do with the service, and
// needs none.
func addGallery(root *cobra.Command, stdout io.Writer, signals <-chan os.Signal) {
	var listen string
	cmd := &cobra.Command{
		Use:   "gallery",
		Short: "Show bad TLS servers, and good ones, on one port of this machine",
		Long: `gallery serves a collection of TLS servers with one flaw each, behind one port: the name that a client sends (SNI)
chooses. A browser that opens the same address without TLS sees a page that lists them. Everything is made anew at
the start, and ends with SIGTERM or SIGINT.`,
		Args: func(_ *cobra.Command, args []string) error { return noArguments(args) },
		RunE: func(*cobra.Command, []string) error { return showGallery(listen, stdout, signals) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "serve on `ADDRESS`, the loopback IP:PORT; port 0 is any")
	root.AddCommand(cmd)
	root.CompletionOptions.DisableDefaultCmd = true
}

// showGallery serves until a signal comes.
func showGallery(listen string, stdout io.Writer, signals <-chan os.Signal) error {
	address, err := netip.ParseAddrPort(listen)
	if err != nil {
		return usagef("--listen: %q is not IP:PORT", listen)
	}
	// Its keys are nobody's secret, and some of its hosts keep connections busy: nothing for a network.
	if !address.Addr().Unmap().IsLoopback() {
		return usagef("--listen: %s is not a loopback address, and the gallery is for this machine alone", address.Addr())
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
	if err != nil {
		return err
	}
	g, err := gallery.New(gallery.Config{Address: l.Addr().String()})
	if err != nil {
		_ = l.Close()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	hosts := g.Hosts()
	_, _ = fmt.Fprintf(stdout, "ready %s\nroot %s\nhosts %d\n", g.URL(), g.RootURL(), len(hosts))
	return g.Serve(ctx, l)
}
