//! Edgeweir's criterion benches and bare proxies to compare with
