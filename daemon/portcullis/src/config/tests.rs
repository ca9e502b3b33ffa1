//! The configuration as a whole: defaults, overrides, and every message in full.

use super::*;
