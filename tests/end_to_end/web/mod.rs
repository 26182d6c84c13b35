//! The server's side of the web page: its files, the logins of browsers, `kirosu web`, and that a hub serves it by default.

mod command;
mod kit;
mod login;
mod page;
mod pages;
mod serving;
mod tickets;
