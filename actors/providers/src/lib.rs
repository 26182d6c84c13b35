//! Providers run one prompt: echo, command, python; and the containment of their processes.
