//! Edgeweir's configuration: text in, typed configuration or a report out
