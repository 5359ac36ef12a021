//! Edgeweir's limits: token buckets, usage plans, API keys
