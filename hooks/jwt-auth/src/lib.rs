//! Edgeweir hook: jwt-auth
