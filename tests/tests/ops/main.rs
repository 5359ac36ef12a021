//! Running an edge: reload, graceful stop, take-over, admin API, metrics, logs, command line.

mod admin;
mod check;
mod deploy;
mod dev;
mod explain;
mod import;
mod logs;
mod metrics;
mod process;
mod purge;
mod reload;
mod reload_load;
mod scripts;
mod shop;
mod sign;
mod stop;
mod support;
mod workshop;
