"""Starts MiniStack, which ends with whoever started it, with one thing its CloudFormation lacks although its services have it.

Knows nothing of what is deployed on it. Written for the version in requirements.txt.
"""

import os
import re
import signal
import sys
import threading

from ministack import app
from ministack.services import ec2
from ministack.services.cloudformation import provisioners


def create_address(logical_id, properties, stack_name):
    _, _, answer = ec2._allocate_address({"Domain": ["vpc"]})
    text = answer.decode() if isinstance(answer, bytes) else answer
    address = re.search("<publicIp>(.+?)<", text)[1]
    return address, {"PublicIp": address, "AllocationId": re.search("<allocationId>(.+?)<", text)[1]}


def release_address(physical_id, properties):
    for allocation, address in list(ec2._addresses.items()):
        if address["PublicIp"] == physical_id:
            ec2._release_address({"AllocationId": [allocation]})


# AWS::EC2::EIP: a template with one is refused as a whole.
provisioners._RESOURCE_HANDLERS["AWS::EC2::EIP"] = {"create": create_address, "delete": release_address}

def end_with_parent():
    """Standard input ends when the parent does, however that came about."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=end_with_parent, daemon=True).start()
app.main()
