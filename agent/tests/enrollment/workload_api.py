"""A SPIFFE Workload API for tests, on the official stubs: serves what a file says, and again whenever that changes.

    workload_api.py ENDPOINT DIRECTORY

DIRECTORY holds svid.der (the chain, one certificate after another), key.der (PKCS#8), bundle.der and id (the SPIFFE ID).
A file named `serial` says which edition they are of: it is written last.
"""

import pathlib
import sys
import time
from concurrent import futures

import grpc
from spiffe._proto import workload_pb2, workload_pb2_grpc


class WorkloadApi(workload_pb2_grpc.SpiffeWorkloadAPIServicer):
    def __init__(self, directory):
        self.directory = directory

    def FetchX509SVID(self, request, context):
        # The specification demands this header of every client.
        if ("workload.spiffe.io", "true") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the security header is missing")
        told = None
        while context.is_active():
            edition = self.read("serial")
            if edition is not None and edition != told:
                told = edition
                svid = workload_pb2.X509SVID(
                    spiffe_id=self.read("id").decode(),
                    x509_svid=self.read("svid.der"),
                    x509_svid_key=self.read("key.der"),
                    bundle=self.read("bundle.der"),
                )
                yield workload_pb2.X509SVIDResponse(svids=[svid])
            time.sleep(0.05)

    def read(self, name):
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None


def main():
    endpoint, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    workload_pb2_grpc.add_SpiffeWorkloadAPIServicer_to_server(WorkloadApi(directory), server)
    if server.add_insecure_port(endpoint.removeprefix("tcp://")) == 0:
        sys.exit("the endpoint cannot be listened on")
    server.start()
    server.wait_for_termination()


main()
