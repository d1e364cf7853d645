//! Orders over three owners, at every step of which somebody dies: whoever is the owner then finishes
//! the order or undoes it, and every request under its key is told the same.

mod crashes;
mod expiring;
mod keys;
mod late;
mod paid_late;
mod paused;
mod scene;
