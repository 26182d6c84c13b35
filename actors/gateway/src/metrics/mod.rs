//! Figures for Prometheus, on a listener of their own.
