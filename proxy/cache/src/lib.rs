//! Edgeweir's cache: storage over moka, freshness, keys
