"""Starts MiniStack with the resource types that its CloudFormation lacks. It ends with the process that started it.

Written for the version in requirements.txt.
"""

import os
import re
import signal
import sys
import threading

from ministack import app
from ministack.core.responses import get_account_id, get_region
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


HANDLERS = provisioners._RESOURCE_HANDLERS
# A template with a type that has no handler is refused as a whole.
HANDLERS["AWS::EC2::EIP"] = {"create": create_address, "delete": release_address}


def create_nothing(logical_id, properties, stack_name):
    return f"{stack_name}-{logical_id}", {}


def delete_nothing(physical_id, properties):
    pass


# Nothing on the emulator scales a service or filters a packet.
for name in (
    "ApplicationAutoScaling::ScalableTarget",
    "ApplicationAutoScaling::ScalingPolicy",
    "EC2::SecurityGroupEgress",
    "EC2::SecurityGroupIngress",
):
    HANDLERS[f"AWS::{name}"] = {"create": create_nothing, "delete": delete_nothing}

alarm = HANDLERS["AWS::CloudWatch::Alarm"]


def one_metric(properties):
    """Its CloudWatch refuses `Metrics`. Returns the same alarm with one plain metric, or None for metric math."""
    if "Metrics" not in properties:
        return properties
    metrics = properties["Metrics"]
    if len(metrics) != 1 or "MetricStat" not in metrics[0]:
        return None
    stat = metrics[0]["MetricStat"]
    statistic = "ExtendedStatistic" if stat["Stat"].startswith("p") else "Statistic"
    others = {key: value for key, value in properties.items() if key != "Metrics"}
    return {**others, **stat["Metric"], "Period": stat["Period"], statistic: stat["Stat"]}


def create_alarm(logical_id, properties, stack_name):
    plain = one_metric(properties)
    if plain is not None:
        return alarm["create"](logical_id, plain, stack_name)
    name = properties["AlarmName"]
    return name, {"Arn": f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"}


def update_alarm(physical_id, old_properties, new_properties, stack_name, logical_id):
    plain = one_metric(new_properties)
    if plain is not None:
        return alarm["update"](physical_id, one_metric(old_properties), plain, stack_name, logical_id)
    return create_alarm(logical_id, new_properties, stack_name)


HANDLERS["AWS::CloudWatch::Alarm"] = {**alarm, "create": create_alarm, "update": update_alarm}


# It leaves the secrets and health checks of a container in CloudFormation's case, where ECS answers with empty ones.
provisioners._normalize_container_defs = provisioners._pascal_to_camel


def end_with_parent():
    """Standard input ends when the parent ends, by any cause."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=end_with_parent, daemon=True).start()
app.main()
