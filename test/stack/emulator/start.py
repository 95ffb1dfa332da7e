"""Starts MiniStack, which ends with whoever started it, with two things its CloudFormation lacks although its services have them.

Knows nothing of what is deployed on it. Written for the version in requirements.txt.
"""

import json
import os
import re
import signal
import sys
import threading

from ministack import app
from ministack.services import ec2, secretsmanager
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


# 1. AWS::EC2::EIP: a template with one is refused as a whole.
provisioners._RESOURCE_HANDLERS["AWS::EC2::EIP"] = {"create": create_address, "delete": release_address}

emulated_secret_string = provisioners._sm_secret_string


def secret_string(properties):
    wanted = properties.get("GenerateSecretString")
    if not wanted or properties.get("SecretString"):
        return emulated_secret_string(properties)
    _, _, answer = secretsmanager._get_random_password(wanted)
    drawn = json.loads(answer)["RandomPassword"]
    if "SecretStringTemplate" not in wanted:
        return drawn
    return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: drawn})


# 2. GenerateSecretString: of all that leaves characters out it heeds ExcludeCharacters alone, so a key of hex digits is none.
provisioners._sm_secret_string = secret_string


def end_with_parent():
    """Standard input ends when the parent does, however that came about."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=end_with_parent, daemon=True).start()
app.main()
