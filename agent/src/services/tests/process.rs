//! A process of a service, and who attends to it.

use super::*;

#[tokio::test]
async fn the_end_of_a_service_is_told_also_if_who_attends_to_it_panics() {
    let exit = however_it_ends("a", async { panic!("it broke") }).await;
    assert_eq!(exit, Exit::Signal(9));
    let exit = however_it_ends("a", async { Exit::Code(3) }).await;
    assert_eq!(exit, Exit::Code(3));
}
