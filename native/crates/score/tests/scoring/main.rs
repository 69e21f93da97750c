//! Scoring, through files as users do it.

mod reference;
mod refusals;
mod rows;
mod support;
