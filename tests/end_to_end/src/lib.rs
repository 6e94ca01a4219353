//! The walks of the README against real parts: broker, browser, serial lines, databases.
