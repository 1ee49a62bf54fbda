//! HTTP (placeholder until helper http's file is here).

pub mod pool;

use std::rc::Rc;

use crate::edge::{Accepted, Worker};

/// Serves one connection.
pub async fn serve(_worker: Rc<Worker>, _accepted: Accepted) {}
