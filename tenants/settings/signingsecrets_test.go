package settings_test

import (
	"testing"
	"time"

	"tenantry/tenants/settings"
)

func TestASigningSecretEndsWhenAnotherOneTakesItsPlace(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	first := settings.NewSigningSecret(start)
	s := settings.Settings{SigningSecrets: []settings.SigningSecret{first}}
	active := func(at time.Duration, want ...settings.SigningSecret) {
		t.Helper()
		got := s.ActiveSigningSecrets(start.Add(at))
		if len(got) != len(want) {
			t.Fatalf("after %v %d are active, want %d", at, len(got), len(want))
		}
		for i := range want {
			if got[i].ID != want[i].ID {
				t.Errorf("after %v number %d is another one", at, i)
			}
		}
	}
	second := settings.NewSigningSecret(start)
	s, ok := s.WithSigningSecret(second, time.Hour)
	active(time.Hour-1, first, second)
	active(time.Hour, second)
	if _, more := s.WithSigningSecret(settings.NewSigningSecret(start), time.Hour); !ok || more {
		t.Error("want two at a time, not three")
	}
	if _, ok := s.WithoutSigningSecret(second.ID, start.Add(time.Hour)); ok {
		t.Error("the only one that still signs could be taken away")
	}
	third := settings.NewSigningSecret(start.Add(2 * time.Hour))
	if s, ok = s.WithSigningSecret(third, time.Hour); !ok || len(s.SigningSecrets) != 2 {
		t.Errorf("one that has ended is in the way, or is kept: %d", len(s.SigningSecrets))
	}
	if s, ok = s.WithoutSigningSecret(third.ID, start.Add(2*time.Hour)); !ok {
		t.Error("the newer one could not be taken away")
	}
	active(1000*time.Hour, second)
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	fourth := settings.NewSigningSecret(start.Add(3 * time.Hour))
	s, _ = s.WithSigningSecret(fourth, 0)
	active(0, fourth)
}
