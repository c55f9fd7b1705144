//! Which service answers a request, tried through a real gateway instance.

mod hosts;
mod methods;
mod normal;
mod paths;
mod predicates;
mod signpost;
