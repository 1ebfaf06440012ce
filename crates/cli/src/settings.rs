//! What was typed, resolved: flags become the engine's configuration. Pure; nothing is opened or sent here
//! but the files that flags name.

pub mod artifact;
pub mod echo;
pub mod endpoint;
pub mod load;
pub mod pairs;
pub mod profile;
pub mod ranks;
pub mod transport;
