//! Edgeweir's harness and end-to-end tests
