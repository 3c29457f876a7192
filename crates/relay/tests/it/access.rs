//! Access control: web pages, proxies, tunnels and remote clients, tested from outside the process.

mod addresses;
mod credentials;
mod hosts;
mod nginx;
mod pages;
mod proxies;
mod talk;
