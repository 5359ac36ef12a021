//! Edgeweir hook: header-rewrite
