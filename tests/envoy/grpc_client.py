"""A gRPC application that finds its server by xDS; run as a program of its own.

It reads lines ``COUNT`` and answers each with a JSON object: reply to number of replies. gRPC
reads its bootstrap from the environment when it starts, hence the process.
"""

import json
import sys
from collections import Counter

import grpc


def main(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        say = channel.unary_unary("/test.Echo/Say")
        for line in sys.stdin:
            heard = Counter(
                say(b"", timeout=20, wait_for_ready=True).decode() for _ in range(int(line))
            )
            print(json.dumps(heard), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
