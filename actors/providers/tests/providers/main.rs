//! Providers with real programs under the real runner. Every test ends by looking through /proc for
//! processes that carry its own instance's name: none may be left.

mod answers;
mod containment;
mod limits;
mod support;
