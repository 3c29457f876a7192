//! What a person at a terminal sees: errors that say everything once and what to do, answers that end with a line
//! break, and no value from outside that floods the terminal or the log, or controls it.

mod commands;
mod echo;
mod line_breaks;
