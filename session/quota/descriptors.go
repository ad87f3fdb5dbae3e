package quota

// DescriptorsConfig says how many file descriptors there are.
type DescriptorsConfig struct {
	PerOwner int64 // that one owner may hold; 0: as many as all together
	Soft     int64 // what the process may have open; RLIMIT_NOFILE's soft limit
	InUse    int64 // what is open that is not counted here; as many as are now
	Reserve  int64 // what is kept for the service itself; 64
	Pressure int   // percent from which nothing new begins; 90
}

// Descriptors counts file descriptors, so that the service runs out of them for new
// sessions before it does for those that live, and for itself never.
type Descriptors struct {
	pool     *Pool
	pressure int64
}

// NewDescriptors returns a Descriptors of which none is held.
func NewDescriptors(cfg DescriptorsConfig) *Descriptors {
	if cfg.Soft <= 0 {
		cfg.Soft = descriptorLimit()
	}
	if cfg.InUse <= 0 {
		cfg.InUse = openDescriptors()
	}
	if cfg.Reserve <= 0 {
		cfg.Reserve = 64
	}
	if cfg.Pressure <= 0 || cfg.Pressure > 100 {
		cfg.Pressure = 90
	}
	limit := max(cfg.Soft-cfg.Reserve-cfg.InUse, 0)
	if cfg.PerOwner <= 0 {
		cfg.PerOwner = limit
	}
	return &Descriptors{
		pool:     NewPool(PoolConfig{What: "descriptors", PerOwner: cfg.PerOwner, Total: limit}),
		pressure: limit/100*int64(cfg.Pressure) + limit%100*int64(cfg.Pressure)/100,
	}
}

// Acquire takes n for something new: all, or none and an [Error]. It is refused from
// the pressure on, for which the Error's Limit is that number.
func (d *Descriptors) Acquire(owner string, n int64) error {
	return d.pool.acquire(owner, n, d.pressure)
}

// AcquireLive takes n for something that lives already, as a connection that resumes
// one does: up to the limit itself.
func (d *Descriptors) AcquireLive(owner string, n int64) error { return d.pool.Acquire(owner, n) }

// Release gives back n of what an owner holds, whichever way he got them.
func (d *Descriptors) Release(owner string, n int64) { d.pool.Release(owner, n) }

// Pressure reports whether nothing new may begin.
func (d *Descriptors) Pressure() bool { return d.pool.Total() >= d.pressure }

// Used is how many an owner holds.
func (d *Descriptors) Used(owner string) int64 { return d.pool.Used(owner) }

// Total is how many all owners hold together.
func (d *Descriptors) Total() int64 { return d.pool.Total() }

// Limit is how many all owners may hold together.
func (d *Descriptors) Limit() int64 {
	_, total := d.pool.Limits()
	return total
}
