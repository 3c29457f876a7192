//! Who may change things: web pages, proxies, tunnels and strangers, each met from outside the process.

mod addresses;
mod credentials;
mod hosts;
mod nginx;
mod pages;
mod proxies;
mod talk;
