package starttls

// ftp asks without asking for features first: the answer to AUTH says as much (RFC 4217, section 4).
func ftp(d *dialogue) error {
	r, err := d.reply(freeRows)
	if err == nil && r.code == 120 { // ready in some minutes (RFC 959, section 5.4)
		r, err = d.reply(freeRows)
	}
	switch {
	case err != nil:
		return err
	case r.code != 220:
		return refused(r.words())
	}
	d.greeted = true
	if err := d.ask("AUTH TLS\r\n"); err != nil {
		return err
	}
	_, err = d.expect(freeRows, 234)
	return err
}
