package metadataapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"tenantry/api/errcode"
	"tenantry/policy/authz"
	"tenantry/services/engine/rest"
	"tenantry/services/revision"
	"tenantry/tenants/model"
)

// public turns what the revision service says into the dialect's errors.
func public(err error) error {
	var policy *authz.CompileError
	if errors.As(err, &policy) {
		return errcode.New(errcode.InvalidConfiguration, "the project's policy does not fit the change: %s", policy.Error()).At("$.args").WithStatus(http.StatusBadRequest)
	}
	var broken *revision.BrokenOperations
	if errors.As(err, &broken) {
		return errcode.New(errcode.DependencyError, "%s", broken.Error()).At("$.args").WithInternal(broken.Operations).WithStatus(http.StatusBadRequest)
	}
	var inconsistent *revision.Inconsistent
	if !errors.As(err, &inconsistent) {
		return err
	}
	e := refused(inconsistent)
	return &e
}

// refused is the error for objects that would not resolve: the reasons, if they
// are of the object that the command is about.
func refused(e *revision.Inconsistent) errcode.Error {
	for _, i := range e.Objects {
		if clash := strings.TrimPrefix(i.Reason, "Inconsistent object: "); strings.HasPrefix(clash, "Encountered conflicting definitions") {
			return *errcode.New(errcode.Unexpected, "%s", clash).At("$.args").WithStatus(http.StatusInternalServerError)
		}
	}
	own := slices.DeleteFunc(slices.Clone(e.Objects), func(i model.Inconsistency) bool {
		return !rest.Ambiguous(i) && (e.About == "" || !about(i, e.About))
	})
	if len(own) == 0 {
		message := "cannot continue due to new inconsistent metadata"
		if e.Whole {
			message = "cannot continue due to inconsistent metadata"
		}
		return *errcode.New(errcode.Unexpected, "%s", message).At("$.args").WithInternal(e.Objects).WithStatus(http.StatusBadRequest)
	}
	reasons := make([]string, len(own))
	for i := range own {
		reasons[i] = own[i].Reason
	}
	return *errcode.New(errcode.InvalidConfiguration, "%s", strings.Join(reasons, ", ")).At("$.args").WithInternal(own).WithStatus(http.StatusBadRequest)
}

// about reports whether an object is the one of the name, or a part of it.
func about(i model.Inconsistency, name string) bool {
	rest, ok := strings.CutPrefix(i.Name, name)
	return ok && (rest == "" || rest[0] == ' ')
}
