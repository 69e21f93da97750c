//! Scoring, through files as users do it.

mod evidence;
mod reference;
mod refusals;
mod rows;
mod support;
