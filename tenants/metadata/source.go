package metadata

// DefaultSource is the source that commands mean when they name none: the
// project's own database.
const DefaultSource = "default"
