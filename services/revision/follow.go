package revision

import (
	"context"
	"sync"
	"time"

	"tenantry/ops/audit"
)

// Follower has projects follow databases that others changed: what a failing
// statement told of is read again, so that what is gone becomes an inconsistent
// object, and what has come back serves again.
type Follower struct {
	service *Service
	noticed chan string
}

const (
	// followPause is the least time between two looks at one project's databases.
	// A look ends before the next one may begin, so there is one at a time.
	followPause = 30 * time.Second
	followLimit = 25 * time.Second
	// followQueue bounds what waits; a notice too many comes again with the next
	// statement that fails.
	followQueue = 64
)

// NewFollower makes a follower; Run has to run.
func NewFollower(s *Service) *Follower {
	return &Follower{service: s, noticed: make(chan string, followQueue)}
}

// Notice tells that a project's databases are not as their catalogs say. It never
// waits.
func (f *Follower) Notice(projectID string) {
	select {
	case f.noticed <- projectID:
	default:
	}
}

// Run looks at what was noticed until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	last := map[string]time.Time{}
	var looks sync.WaitGroup
	defer looks.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-f.noticed:
			now := time.Now()
			if now.Sub(last[id]) < followPause {
				continue
			}
			for other, at := range last {
				if now.Sub(at) >= followPause {
					delete(last, other)
				}
			}
			last[id] = now
			looks.Go(func() { f.look(ctx, id) })
		}
	}
}

// look reads the catalogs of a project again, and makes a revision if they differ.
func (f *Follower) look(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, followLimit)
	defer cancel()
	log := f.service.Logger.With("type", "metadata", "project_id", id)
	project, err := f.service.Store.Project(ctx, id)
	if err != nil {
		log.Warn("a changed database is not looked at", "error", err)
		return
	}
	out, err := f.service.Apply(ctx, id, Change{
		Author: Author{Actor: audit.Actor{Kind: audit.ActorSystem}, TenantID: project.TenantID},
		Action: "metadata.follow", Target: project.Slug, Introspect: true, AllowInconsistent: true,
	})
	if err != nil {
		log.Warn("project does not follow its database", "error", err)
		return
	}
	log.Info("project looked at its databases again", "changed", out.Changed, "inconsistent_objects", len(out.Inconsistencies),
		"broken_operations", len(out.Broken.Operations), "broken_endpoints", len(out.Broken.Endpoints))
}
