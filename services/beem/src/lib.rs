//! The one binary, as a library: [`settings`] say what a process is, [`compose`] builds it, [`running`] starts and drains
//! it, [`cli`] is the command line. [`links`] holds who calls whom. The embedded shape adds a [`data_dir`], its
//! [`bootstrap`] and the [`admin_socket`]; a cluster's files come from [`cluster_files`].

pub mod admin_socket;
pub mod bootstrap;
pub mod cli;
pub mod cluster_files;
pub mod compose;
pub mod data_dir;
pub mod keys;
pub mod links;
pub mod running;
pub mod sealing_keys;
pub mod settings;
