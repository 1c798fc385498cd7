//! A server of names for guests: it knows one name.

use std::{fs::File, net::UdpSocket, os::fd::AsFd, thread};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{RData, Record, RecordType},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::quorum::{HOST, HOST_NAME, Network};

/// Serves until the test ends. Answers its port, at a guest's host.
pub fn start(network: &Network) -> u16 {
    let namespace = File::open(network.path()).expect("the namespace is there");
    // A thread may be in another namespace than its process.
    let listening = thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
        let port = socket.local_addr().expect("it is bound").port();
        thread::spawn(move || serve(&socket));
        port
    });
    listening.join().expect("it listens")
}

fn serve(socket: &UdpSocket) {
    let mut bytes = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
        let Ok(question) = Message::from_vec(&bytes[..length]) else { continue };
        if let Ok(answer) = answer(&question).to_vec() {
            socket.send_to(&answer, from).ok();
        }
    }
}

fn answer(question: &Message) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.message_type = MessageType::Response;
    for query in &question.queries {
        let known = query.name().to_ascii().trim_end_matches('.') == HOST_NAME;
        if !known {
            answer.metadata.response_code = ResponseCode::NXDomain;
        } else if query.query_type() == RecordType::A {
            let record = Record::from_rdata(query.name().clone(), 60, RData::A(HOST.into()));
            answer.add_answer(record);
        }
        answer.add_query(query.clone());
    }
    answer
}
