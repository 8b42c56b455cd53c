//! The gateway over a real socket.

#[cfg(test)]
mod api;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod faults;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
