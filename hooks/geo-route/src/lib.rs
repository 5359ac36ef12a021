//! Edgeweir hook: geo-route
