import logo from "../assets/logo.svg";

export const Logo = ({ size }: { size: number }) => <img src={logo} width={size} height={size} alt="" draggable={false} />;
