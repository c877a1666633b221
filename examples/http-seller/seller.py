"""A seller of the market demo without an SDK: HTTP, and `openmesh sign` for the contract.

Its offers are signed by the node, with a key that the node keeps for it. A contract takes a signature of its own:
that one is made outside, by the program `openmesh` with the seller's own key, and posted like any other message.

It speaks as `openmesh demo-agent` does: cues on standard input, news on standard output, one JSON text a line.

    seller.py seller-3 --openmesh target/release/openmesh --http 127.0.0.1:7448
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

TOPIC = "market%2Frfp"
PROTOCOL = "market/negotiation@^1"
PROPOSAL = "market/proposal@^1"
CONTRACT = "market/contract@^2"
ASKED, LEAST = 0.63, 0.58
PATIENCE_S = 60


def tell(news: object) -> None:
    """Tells the demo something."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


class Refused(Exception):
    """The node refused; its problem says why."""

    def __init__(self, problem: dict) -> None:
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.code = problem["code"]


class Http:
    """The node's HTTP interface, for the holder of a token."""

    def __init__(self, address: str, token: str) -> None:
        self._base = f"http://{address}"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: object) -> dict:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, raw, self._headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read())) from error

    def get(self, path: str) -> dict:
        request = urllib.request.Request(self._base + path, headers=self._headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return json.loads(response.read())

    def events(self, path: str):
        """The data of each server-sent event, as long as the node lets it flow."""
        request = urllib.request.Request(self._base + path, headers={**self._headers, "Accept": "text/event-stream"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as stream:
            yield None
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])


class Program:
    """The program `openmesh`, for the seller's own key."""

    def __init__(self, binary: str, home: Path, name: str, entry: dict) -> None:
        self._binary, self._name = binary, name
        self._environment = {**os.environ, "OPENMESH_HOME": str(home)}
        self._node = ["--node", entry["address"], "--domain", entry["domain"]]
        self._token_file = home / "admin.token"
        self._token_file.write_text(entry["token"])

    def enter(self) -> str:
        """Makes a key, registers it, and has the node keep another; returns a token."""
        self._run("agent", "new", self._name)
        self._run("agent", "register", self._name, "--token-file", str(self._token_file), *self._node)
        made = self._run("token", "new", "--as", self._name, "--custodial", "--label", "http-seller", *self._node)
        return made.decode().split()[0]

    def sign(self, event: dict) -> bytes:
        """The event as it is to be posted, signed with the seller's own key."""
        return self._run("sign", "-", "--as", self._name, *self._node, input=json.dumps(event).encode())

    def _run(self, *arguments: str, input: bytes | None = None) -> bytes:
        command = [self._binary, *arguments]
        done = subprocess.run(command, input=input, env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()}")
        return done.stdout


class Seller:
    """Offers, bargains, and signs what was agreed."""

    def __init__(self, http: Http, program: Program) -> None:
        self._http, self._program = http, program
        self._talks: dict[str, dict] = {}
        self.tally = {"accepted": 0, "refused": {}, "latencies_us": [], "acts_read": 0}

    def read_call(self, event: dict) -> None:
        """Answers a request of the topic with an offer."""
        if event.get("performative") != "cfp":
            return
        value = event["data"]["value"]
        talk = {"buyer": event["source"], "rfp": event["data"]["id"], "currency": value["currency"]}
        talk |= {"price": round(value["amount"] * ASKED, 2), "least": round(value["amount"] * LEAST, 2)}
        self._talks[event["conversationid"]] = talk
        self._act(event["conversationid"], "propose", dataschema=PROPOSAL, data=self._offer(talk))

    def read(self, held: dict) -> None:
        """Reads one message of the inbox."""
        event = held["event"]
        talk = self._talks.get(event.get("conversationid", ""))
        self.tally["acts_read"] += "conversationid" in event
        if talk is None:
            return
        if event["performative"] == "counter-propose":
            asked = event["data"]["value"]["amount"]
            talk["price"] = max(talk["least"], round((talk["price"] + asked) / 2, 2))
            offer = self._offer(talk)
            parents = {"dataschema": PROPOSAL, "parents": held["digest"]}
            self._act(event["conversationid"], "counter-propose", data=offer, **parents)
        elif event["performative"] == "inform":
            self._sign_contract(event)

    def _sign_contract(self, event: dict) -> None:
        """First as everything else is sent, which the protocol refuses; then with the seller's own signature."""
        contract = {"dataschema": CONTRACT, "data": event["data"]}
        try:
            self._act(event["conversationid"], "inform", **contract)
        except Refused as why:
            self.tally["refused"][why.code] = self.tally["refused"].get(why.code, 0) + 1
        signed = self._program.sign(self._message(event["conversationid"], "inform", **contract))
        self._http.post("/v1/messages", signed)
        self.tally["accepted"] += 1

    def _act(self, conversation: str, act: str, **rest: object) -> None:
        self._http.post("/v1/messages", self._message(conversation, act, **rest))
        self.tally["accepted"] += 1

    def _message(self, conversation: str, act: str, **rest: object) -> dict:
        to = f"agent:{self._talks[conversation]['buyer']}"
        return {"to": to, "performative": act, "protocol": PROTOCOL, "conversationid": conversation, **rest}

    @staticmethod
    def _offer(talk: dict) -> dict:
        return {"rfp": talk["rfp"], "value": {"amount": talk["price"], "currency": talk["currency"]}}


def work(http: Http, seller: Seller, name: str, cues: "queue.Queue[object]") -> None:
    """Requests and mail, one after the other, until told to finish and nothing is left in the inbox."""
    calls: queue.Queue[dict] = queue.Queue(256)
    streaming = threading.Event()

    def listen() -> None:
        for event in http.events(f"/v1/topics/{TOPIC}/messages"):
            streaming.set()
            if event is not None:
                calls.put(event)

    threading.Thread(target=listen, daemon=True).start()
    if not streaming.wait(PATIENCE_S):
        raise RuntimeError("the topic cannot be subscribed to")
    tell({"Ready": None})
    finishing = False
    while not (finishing and http.get("/v1/inbox")["pending"] == 0):
        while not cues.empty():
            finishing = finishing or cues.get() == "Finish"
        while not calls.empty():
            seller.read_call(calls.get())
        for held in http.post("/v1/inbox:lease", {"messages_max": 10, "wait_ms": 100})["messages"]:
            seller.read(held)
            http.post("/v1/inbox:ack", {"token": held["token"], "numbers": [held["number"]]})
    tell({"Kept": list(kept_of(http, name))})
    tell({"Done": seller.tally})


def kept_of(http: Http, name: str):
    """Each act of the seller that the log has, and how its sender is known: `custodial` or `signed`."""
    agent = http.get(f"/v1/agents/{name}")["agent"]
    target = f"/v1/log?agent={name}&kind=message&pageSize=1000"
    page = http.get(target)
    while True:
        mine = (record for record in page["records"] if record["sender"] == agent)
        yield from ([one["message"]["attributes"]["performative"], one["outcome"]["authenticity"]] for one in mine)
        if page["next_page_token"] is None:
            return
        page = http.get(f"{target}&pageToken={page['next_page_token']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the name to register under")
    parser.add_argument("--openmesh", default="openmesh", help="the program openmesh")
    parser.add_argument("--http", required=True, help="where the node serves HTTP")
    arguments = parser.parse_args()
    entry = json.loads(sys.stdin.readline())["Enter"]
    cues: queue.Queue[object] = queue.Queue()

    def read_cues() -> None:
        for line in sys.stdin:
            cues.put(json.loads(line))
        os._exit(1)

    threading.Thread(target=read_cues, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        program = Program(arguments.openmesh, Path(home), arguments.name, entry)
        http = Http(arguments.http, program.enter())
        work(http, Seller(http, program), arguments.name, cues)


if __name__ == "__main__":
    main()
