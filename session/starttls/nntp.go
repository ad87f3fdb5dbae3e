package starttls

func nntp(d *dialogue) error {
	r, err := d.reply(oneLine)
	switch {
	case err != nil:
		return err
	case r.code != 200 && r.code != 201: // posting allowed, or not
		return refused(r.words())
	}
	d.greeted = true
	if err := d.say("CAPABILITIES\r\n"); err != nil {
		return err
	}
	switch r, err = d.reply(oneLine); {
	case err != nil:
		return err
	case r.code == 101:
		lines, err := d.dotted()
		if err != nil {
			return err
		}
		if !offered(lines, "STARTTLS") {
			return refused("")
		}
	case r.code < 500: // 5xx: it knows no CAPABILITIES, being older than RFC 3977, and may know STARTTLS
		return refused(r.words())
	}
	if err := d.ask("STARTTLS\r\n"); err != nil {
		return err
	}
	_, err = d.expect(oneLine, 382)
	return err
}
