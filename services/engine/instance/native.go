package instance

import (
	"context"

	"tenantry/services/engine/executor"
	"tenantry/services/engine/source"
	"tenantry/tenants/model"
)

// CheckNative asks the database whether it takes a native query: what is wrong
// with it, or nothing. The error is that of a database that can't be asked.
func CheckNative(ctx context.Context, src *source.Source, q *model.NativeQuery) (wrong string, err error) {
	sql, parameters := executor.NativeStatement(q)
	found, wrong, err := src.Prepare(ctx, sql)
	if err == nil && wrong == "" && found != parameters {
		wrong = "a placeholder stands inside of a string or a comment, where it is no parameter"
	}
	return wrong, err
}
