//! What every packet module must do.
