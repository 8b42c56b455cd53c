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
mod forms;
#[cfg(test)]
mod inbox;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod webhooks;
